"""The media types of patches (upstream: apimachinery/pkg/types/patch.go)."""

APPLY_PATCH = "application/apply-patch+yaml"
PATCHES = {  # by what this package calls them; apply is no change of an object by itself, and stands apart
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
