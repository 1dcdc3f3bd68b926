"""Entities in and out of the tables. Every conditional write is named after what it guarantees."""
