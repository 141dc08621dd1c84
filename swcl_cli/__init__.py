"""swcl: semi-weakly supervised contrastive representations of retinal photographs (Yap and Ng, arXiv 2108.02122)."""

__version__ = "0.1.0"
