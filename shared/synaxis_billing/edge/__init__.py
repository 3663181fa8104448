"""The only code that knows Lambda, Powertools, API Gateway and the environment."""
