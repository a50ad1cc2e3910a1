"""Numbers that the papers published, to stand beside ours."""

from eae_book.published.entropies import PublishedEntropy, published_entropies
from eae_book.published.scores import PublishedScore, published_scores

__all__ = ["PublishedEntropy", "PublishedScore", "published_entropies", "published_scores"]
