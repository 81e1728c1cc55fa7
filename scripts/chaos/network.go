package main

import "time"

// network is what lies between a node and all servers of a kind, or its clients: a
// proxy before each. What is done to it is done to every connection.
type network []*proxy

func (n network) each(do func(*proxy)) {
	for _, p := range n {
		do(p)
	}
}

func (n network) sever()                 { n.each((*proxy).sever) }
func (n network) reset()                 { n.each((*proxy).reset) }
func (n network) strand()                { n.each((*proxy).strand) }
func (n network) restore()               { n.each((*proxy).restore) }
func (n network) delay(d time.Duration)  { n.each(func(p *proxy) { p.delay(d) }) }
func (n network) hold(toward, back bool) { n.each(func(p *proxy) { p.hold(toward, back) }) }

// open adds a proxy before a server, and answers where it listens.
func (n *network) open(target string) (address string, err error) {
	p, err := newProxy(target)
	if err != nil {
		return "", err
	}
	*n = append(*n, p)
	return p.address(), nil
}

func (n network) addresses() (all []string) {
	n.each(func(p *proxy) { all = append(all, p.address()) })
	return all
}
