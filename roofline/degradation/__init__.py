"""What compression does to a trained model, by published tables and fits to them.

`tables` reads the tables as they were published, `fits` the form that is fitted, `methods` and
`pruning` what each way of compression costs, `tasks` what the loss is worth on tasks, and
`holdout` how far all that errs on rows that a fit did not see. No coefficient stands in the code.
"""
