"""Reference networks that guide methods: trained without labels or pinned, and opened."""
