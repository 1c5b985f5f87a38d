"""The certificate, and how it prints and draws."""
