"""Who may do what: origins, hosts, tokens, proxies."""
