"""The data plane of Treering: rounds, from a delivery in the store to a published model."""
