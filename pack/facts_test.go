package pack

import (
	"strconv"
	"strings"
	"testing"
)

func TestTalliesAreBoundedAndTheRestIsCounted(t *testing.T) {
	var counted tally
	for i := range 150 {
		for range 150 - i {
			counted.add("kind" + strconv.Itoa(i))
		}
	}
	counted.add(strings.Repeat("x", maxKindName+1))
	list := counted.sorted()
	if len(list) != maxKinds+1 || list[0] != (Tally{"kind0", 150}) || list[len(list)-1].Name != "" {
		t.Fatalf("%d kinds, %v", len(list), list)
	}
	sum := 0
	for _, kind := range list {
		sum += kind.N
	}
	if want := 150*151/2 + 1; sum != want {
		t.Errorf("%d counted, want %d", sum, want)
	}
}
