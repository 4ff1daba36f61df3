"""What a cluster begins with: objects that are there before anybody makes them. Idempotent, for several servers start alike."""
