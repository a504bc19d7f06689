"""How figures look: their style, their titles, and names that keep clear of what is drawn."""
