"""Mail that a post only announces: it is asked for at the provider's API, until it comes."""
