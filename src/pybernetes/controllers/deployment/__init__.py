"""Rollouts: `plan` is one sync as a list of actions on replica sets, `util` its arithmetic and its texts."""
