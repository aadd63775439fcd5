// Package durabletest makes disks full for tests, where the system can.
package durabletest
