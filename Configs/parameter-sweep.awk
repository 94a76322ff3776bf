# Integrates x^power from 0 to 1 by sums of the given width, and says how far that is from the truth.
BEGIN {
    count = int(1 / step + 0.5) * samples / 10
    width = 1 / count
    for (i = 0; i < count; i++) {
        left = (i * width) ^ power
        right = ((i + 1) * width) ^ power
        middle = ((i + 0.5) * width) ^ power
        sum += method == "left" ? left : method == "middle" ? middle : (left + right) / 2
    }
    printf "%s power %d: %.9f, off by %.2e\n", method, power, sum * width, sum * width - 1 / (power + 1)
}
