"""The accuracies that the original published, to compare with."""

#: The original's accuracies on the 300 validation points: mean and sd of three runs, from its README, by d
PUBLISHED = {
    1.0: {"FFNN": (0.9833, 0.0047), "KD": (0.8373, 0.0074)},
    0.75: {"FFNN": (0.9887, 0.0034), "KD": (0.8467, 0.0056)},
    0.5: {"FFNN": (0.9680, 0.0034), "KD": (0.8380, 0.0016)},
    0.25: {"FFNN": (0.7680, 0.0176), "KD": (0.7153, 0.0058)},
}
