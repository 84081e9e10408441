//! What the lab cannot be brought to, on machines made by hand.
