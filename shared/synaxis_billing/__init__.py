"""Prepaid-credit billing for an LLM gateway: the core, shared by every Lambda function."""
