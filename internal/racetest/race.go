//go:build race

package racetest

// Enabled says that the race detector looks on.
const Enabled = true
