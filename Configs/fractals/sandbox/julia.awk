# A Julia set of z² + c as a plain PPM on stdout; variables turn, pixels, iterations.
BEGIN {
    side = int(sqrt(pixels))
    angle = turn * 6.283185307179586
    cx = 0.7885 * cos(angle)
    cy = 0.7885 * sin(angle)
    printf "P3\n%d %d\n255\n", side, side
    for (row = 0; row < side; row++) {
        line = ""
        for (column = 0; column < side; column++) {
            x = 3 * (column + 0.5) / side - 1.5
            y = 1.5 - 3 * (row + 0.5) / side
            for (n = 0; n < iterations; n++) {
                xx = x * x
                yy = y * y
                if (xx + yy > 4) break
                y = 2 * x * y + cy
                x = xx - yy + cx
            }
            # The logarithm spreads the colours: most points escape early.
            shade = n >= iterations ? 0 : log(n + 1) / log(iterations + 1)
            line = line int(255 * shade) " " int(255 * shade * shade) " " int(80 + 175 * (1 - shade)) " "
        }
        print line
    }
}
