package server

import (
	"net"
	"sync"
)

// Listener bounds the connections of a listener at once, to a number that this
// process can serve. Further ones wait in the kernel until one ends, which
// those that do nothing do within the time-outs of Server.
func Listener(l net.Listener) net.Listener { return limitListener(l, maxConnections) }

func limitListener(l net.Listener, limit int) net.Listener {
	return &limited{Listener: l, places: make(chan struct{}, limit), closed: make(chan struct{})}
}

type limited struct {
	net.Listener
	places chan struct{} // one in it for each connection
	closed chan struct{}
	once   sync.Once
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &counted{Conn: c, leave: func() { <-l.places }}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// counted gives its place back when it is closed, once.
type counted struct {
	net.Conn
	once  sync.Once
	leave func()
}

func (c *counted) Close() error {
	defer c.once.Do(c.leave)
	return c.Conn.Close()
}
