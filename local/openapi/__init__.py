"""The OpenAPI document of the API, made from the functions' routes and their models."""
