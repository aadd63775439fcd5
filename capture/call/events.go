package call

import "bytes"

// lines cuts what passes into lines, which end in CR, LF or both.
type lines struct {
	part  kept // the line that has begun
	cr    bool // the byte before was a CR
	first bool // a line has been there: a byte order mark may be before the first one only
}

// pass gives each line that ends in p to visit, without its end. A line that had no room is given as none, with the reason.
func (l *lines) pass(p []byte, visit func(line []byte, lost reason)) {
	if l.cr && len(p) > 0 {
		if l.cr = false; p[0] == '\n' {
			p = p[1:]
		}
	}
	for len(p) > 0 {
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			l.part.keep(p)
			return
		}
		l.line(p[:end], visit)
		if p[end] == '\r' {
			if end+1 == len(p) {
				l.cr = true
			} else if p[end+1] == '\n' {
				end++
			}
		}
		p = p[end+1:]
	}
}

func (l *lines) line(end []byte, visit func(line []byte, lost reason)) {
	line := end
	if len(l.part.bytes) > 0 || l.part.lost != "" {
		l.part.keep(end)
		line = l.part.bytes
	}
	if !l.first {
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		l.first = true
	}
	visit(line, l.part.lost)
	l.part.lost = ""
	if l.part.bytes = l.part.bytes[:0]; cap(l.part.bytes) > 64<<10 {
		l.part.free()
	}
}

// end gives what is behind the last end of a line, if there is anything.
func (l *lines) end(visit func(line []byte, lost reason)) {
	if len(l.part.bytes) > 0 || l.part.lost != "" {
		l.line(nil, visit)
	}
	l.part.free()
}

// event is one message of a stream; without data it is none.
type event struct {
	name string // of server-sent events; empty: none
	data []byte // good until the next event
	lost reason // why data is not there
}

// events cuts a stream into its messages: server-sent events as the HTML standard says, or a message a line.
type events struct {
	sse   bool
	lines lines
	name  string
	data  kept
	some  bool // a data field has been there
}

func newEvents(sse bool, budget *Budget) *events {
	small := share{budget: budget, free: page}
	return &events{sse: sse, lines: lines{part: kept{share: small}}, data: kept{share: small}}
}

func (e *events) pass(p []byte, visit func(event)) {
	e.lines.pass(p, func(line []byte, lost reason) { e.line(line, lost, visit) })
}

// end gives the last message, if the stream ended without the empty line that should be behind it.
func (e *events) end(visit func(event)) {
	e.lines.end(func(line []byte, lost reason) { e.line(line, lost, visit) })
	if e.sse {
		e.dispatch(visit)
	}
	e.data.free()
}

func (e *events) line(line []byte, lost reason, visit func(event)) {
	if !e.sse {
		visit(event{data: line, lost: lost})
		return
	}
	if lost != "" {
		// What the line was is not known; the message that it belongs to is lost.
		e.some = true
		e.data.lose(lost)
		return
	}
	if len(line) == 0 {
		e.dispatch(visit)
		return
	}
	field, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(field) {
	case "event":
		e.name = string(value[:min(len(value), 128)])
	case "data":
		if e.some {
			e.data.keep([]byte("\n"))
		}
		e.some = true
		e.data.keep(value)
	}
}

func (e *events) dispatch(visit func(event)) {
	if e.some {
		visit(event{name: e.name, data: e.data.bytes, lost: e.data.lost})
	}
	e.name, e.some, e.data.lost = "", false, ""
	if e.data.bytes = e.data.bytes[:0]; cap(e.data.bytes) > 64<<10 {
		e.data.free()
	}
}
