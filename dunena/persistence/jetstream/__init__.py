"""The log on NATS JetStream: one stream that several servers share."""
