package capture

// maxGroup is how many callers one step of a group serves.
const maxGroup = 512

// group does the work of many callers in few steps: those who come while a step runs are served together in the next one.
// So a disk that takes a millisecond for an fsync makes one caller wait for a millisecond, and a thousand callers
// for two.
type group[T any] struct {
	callers     chan caller[T]
	quit, ended chan struct{}
}

type caller[T any] struct {
	item T
	done chan struct{}
}

// newGroup starts a group whose steps are do. Each item is a pointer, in which do leaves what its caller wants to know.
func newGroup[T any](do func([]T)) *group[T] {
	g := &group[T]{make(chan caller[T]), make(chan struct{}), make(chan struct{})}
	go g.run(do)
	return g
}

func (g *group[T]) run(do func([]T)) { // ends with close
	defer close(g.ended)
	for {
		var callers []caller[T]
		select {
		case c := <-g.callers:
			callers = append(callers, c)
		case <-g.quit:
			return
		}
		for waiting := true; waiting && len(callers) < maxGroup; {
			select {
			case c := <-g.callers:
				callers = append(callers, c)
			default:
				waiting = false
			}
		}
		items := make([]T, len(callers))
		for i, c := range callers {
			items[i] = c.item
		}
		do(items)
		for _, c := range callers {
			close(c.done)
		}
	}
}

// wait returns true when do has served the item, and false if the group was closed before.
func (g *group[T]) wait(item T) bool {
	c := caller[T]{item, make(chan struct{})}
	select {
	case g.callers <- c:
		<-c.done
		return true
	case <-g.quit:
		return false
	}
}

// close returns when the step that runs has ended.
func (g *group[T]) close() {
	close(g.quit)
	<-g.ended
}
