# Tests: unit, e2e, fault, fuzz, lint, bench.
