// Package musterv1 is the public contract of a log's account API: the messages
// of muster.proto and the limits that both sides keep.
package musterv1

// muster.proto is registered under the path that its package asks for, while
// it lies here. It takes protoc, protoc-gen-go v1.36.12 and
// protoc-gen-connect-go v1.21.1.
//
//go:generate protoc --proto_path=muster/v1=. --go_out=. --go_opt=module=github.com/musterlog/muster/api/v1 --connect-go_out=. --connect-go_opt=module=github.com/musterlog/muster/api/v1,simple=true muster/v1/muster.proto
