"""`python -m gateway.bench media ...`: the benchmarks without the rest of the command line."""

from gateway.bench.command import bench

if __name__ == "__main__":
    bench()
