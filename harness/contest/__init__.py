"""The contest: prepares contestants, times them side by side, resumes, and goes on when one fails."""
