"""Give work to the workers of a Dask cluster. Nothing else in the program imports Dask."""
