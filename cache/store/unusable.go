package store

import (
	"context"
	"fmt"
)

// Unusable is the Store in place of one that cannot be opened: every call ends with the reason why, and ErrRefused.
func Unusable(why error) Store { return unusable{fmt.Errorf("%w: %w", ErrRefused, why)} }

type unusable struct{ why error }

func (u unusable) Put(context.Context, string, []byte) error                  { return u.why }
func (u unusable) Get(context.Context, string, int64) ([]byte, error)         { return nil, u.why }
func (u unusable) PutFile(context.Context, string, string) error              { return u.why }
func (u unusable) GetFile(context.Context, string, string, func(int64)) error { return u.why }
func (u unusable) List(context.Context, string, int) ([]Object, error)        { return nil, u.why }
func (u unusable) Delete(context.Context, string) error                       { return u.why }
