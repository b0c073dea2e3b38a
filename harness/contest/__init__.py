"""The contest: prepares contestants, times them side by side, resumes, and survives whoever fails."""
