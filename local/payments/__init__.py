"""A stand-in of Stripe and PayPal on this machine: their APIs, checkout pages and webhooks, as the
public descriptions tell. No money moves."""
