"""Who is asking: tokens and identities."""
