"""Deletes pods from nodes whose NoExecute taints they do not tolerate: `plan` says when."""
