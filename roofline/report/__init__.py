"""What a person sees of a run: figures, the interactive page, the folder of files."""
