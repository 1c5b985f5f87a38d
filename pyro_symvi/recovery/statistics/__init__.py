"""The statistics that a certificate speaks of: one file each."""
