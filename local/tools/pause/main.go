// Command pause holds a pod's namespaces: it does nothing, reaps what is handed to it, and ends when it is told to.
//
// A program of our own and not Debian's static busybox: that package conflicts with the dynamic one, which most
// machines have for their initramfs.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if pid <= 0 || err != nil {
				break
			}
		}
	}
}
