"""Who writes the agent's next graphs: rules, or a language model behind an endpoint."""
