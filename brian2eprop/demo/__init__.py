"""The demonstration: a recurrent adaptive network learns real handwritten digits with e-prop."""
