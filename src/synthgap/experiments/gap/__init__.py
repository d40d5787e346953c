"""Stage `gap`: where the gap between synthetic and real images comes from."""
