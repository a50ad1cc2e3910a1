"""Numbers that the papers published, to stand beside ours."""

from eae_book.published.entropies import PublishedEntropy, published_entropies
from eae_book.published.scores import PublishedScore, published_scores
from eae_book.published.weights import PUBLISHED, PublishedWeight, convert_weight

__all__ = [
    "PUBLISHED",
    "PublishedEntropy",
    "PublishedScore",
    "PublishedWeight",
    "convert_weight",
    "published_entropies",
    "published_scores",
]
