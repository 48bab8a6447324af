"""HTTP/1.1: parsing requests, serializing responses, and the connection."""
