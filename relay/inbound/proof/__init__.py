"""How a post proves that its provider sent it: shared secrets, signatures, SNS, OAuth. Each raises ``NotProven``."""
