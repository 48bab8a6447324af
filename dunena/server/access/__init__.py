"""Access control: origins, hosts, tokens and proxies."""
