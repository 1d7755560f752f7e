//! Tar recipes, image builders, a registry with faults and oracles for the tests
