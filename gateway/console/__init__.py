"""The page on which people decide: sign in, the inbox, one card per question. On the control port only."""
