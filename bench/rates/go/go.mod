module longshore.invalid/bench

go 1.24
