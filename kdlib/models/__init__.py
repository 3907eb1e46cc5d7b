"""models: trained networks as files, and what they say of new points, without whatever trained them."""
