package main

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"

	"service-courier/internal/output"
)

const couriersPath = apiRoot + "/couriers"

var courierColumns = []output.Column{
	{Title: "id", Path: "id"},
	{Title: "name", Path: "name"},
	{Title: "phone", Path: "phone"},
	{Title: "status", Path: "status"},
	{Title: "transport", Path: "transport_type"},
	{Title: "order", Path: "order_id"},
	{Title: "deliveries", Path: "deliveries"},
	{Title: "pauses next", Path: "pause_after_delivery"},
}

func (r *remote) couriers() *cobra.Command {
	return group("couriers", "See and change the couriers of a running server", "",
		r.listCouriers(), r.getCourier(), r.createCourier(), r.changeCourier(),
		r.pauseCourier(), r.resumeCourier(), r.deleteCourier())
}

func (r *remote) listCouriers() *cobra.Command {
	var status, transport string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List couriers, in the order of their ids", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.list(cmd, couriersPath, query("status", status, "transport_type", transport), limit, courierColumns)
		},
	}
	cmd.Flags().StringVar(&status, "status", "", "only these: available, busy or paused")
	cmd.Flags().StringVar(&transport, "transport", "", "only these: on_foot, scooter or car")
	limitFlag(cmd, &limit)
	return r.formats(cmd)
}

func (r *remote) getCourier() *cobra.Command {
	return r.formats(&cobra.Command{
		Use: "get ID", Short: "Show one courier", Args: oneArg("the id of one courier"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := courierPath(args[0])
			if err != nil {
				return err
			}
			return r.show(cmd, path, nil, courierColumns)
		},
	})
}

// courierBody is what a person says of a courier; what is "" is left out.
type courierBody struct {
	Name      string `json:"name,omitempty"`
	Phone     string `json:"phone,omitempty"`
	Status    string `json:"status,omitempty"`
	Transport string `json:"transport_type,omitempty"`
}

func (b *courierBody) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&b.Name, "name", "", "what he is called")
	cmd.Flags().StringVar(&b.Phone, "phone", "", "his phone, which nobody else has")
	cmd.Flags().StringVar(&b.Transport, "transport", "", "on_foot, scooter or car")
}

func (r *remote) createCourier() *cobra.Command {
	var body courierBody
	cmd := &cobra.Command{
		Use: "create --name NAME --phone PHONE --transport TRANSPORT", Short: "Register a courier", Args: cobra.NoArgs,
		Example: "  service-courier couriers create --name Lev --phone +70000000099 --transport car",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if body.Name == "" || body.Phone == "" || body.Transport == "" {
				return usageError{fmt.Errorf("want --name, --phone and --transport")}
			}
			return r.actSaying(cmd, http.MethodPost, couriersPath, body, courierColumns, registered)
		},
	}
	body.flags(cmd)
	cmd.Flags().StringVar(&body.Status, "status", "", "available (the default) or paused")
	return r.formats(cmd)
}

// registered tells a courier who is new from one whom the server knew, with the
// same phone, name and transport; his status stays what it was.
func registered(status int) string {
	if status == http.StatusOK {
		return "he is there already; nothing has changed"
	}
	return "registered"
}

func (r *remote) changeCourier() *cobra.Command {
	var body courierBody
	cmd := &cobra.Command{
		Use: "change ID", Short: "Change a courier's name, phone or transport", Args: oneArg("the id of one courier"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := courierPath(args[0])
			if err != nil {
				return err
			}
			if body == (courierBody{}) {
				return usageError{fmt.Errorf("want something to change: --name, --phone or --transport")}
			}
			return r.act(cmd, http.MethodPatch, path, body, courierColumns, "changed")
		},
	}
	body.flags(cmd)
	return r.formats(cmd)
}

func (r *remote) pauseCourier() *cobra.Command {
	var body struct {
		AfterDelivery bool `json:"after_delivery"`
	}
	cmd := &cobra.Command{
		Use: "pause ID", Short: "Give a courier no further order", Args: oneArg("the id of one courier"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.actOnCourier(cmd, args[0], "pause", body, "paused")
		},
	}
	cmd.Flags().BoolVar(&body.AfterDelivery, "after-delivery", false, "one who is busy pauses when his delivery ends")
	return r.formats(cmd)
}

func (r *remote) resumeCourier() *cobra.Command {
	return r.formats(&cobra.Command{
		Use: "resume ID", Short: "Let a courier have orders again", Args: oneArg("the id of one courier"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.actOnCourier(cmd, args[0], "resume", nil, "resumed")
		},
	})
}

func (r *remote) actOnCourier(cmd *cobra.Command, arg, verb string, body any, done string) error {
	path, err := courierPath(arg)
	if err != nil {
		return err
	}
	return r.act(cmd, http.MethodPost, path+"/"+verb, body, courierColumns, done)
}

func (r *remote) deleteCourier() *cobra.Command {
	return &cobra.Command{
		Use: "delete ID", Short: "Remove a courier who has no open delivery; his history is kept", Args: oneArg("the id of one courier"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := courierPath(args[0])
			if err != nil {
				return err
			}
			return r.act(cmd, http.MethodDelete, path, nil, nil, "deleted")
		},
	}
}

func courierPath(arg string) (string, error) {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || id < 1 {
		return "", usageError{fmt.Errorf("%q is no id of a courier: want a number, as 'couriers list' shows it", arg)}
	}
	return couriersPath + "/" + strconv.FormatInt(id, 10), nil
}
