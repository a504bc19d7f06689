"""The question turned round: for a loss and a time, what must the device be?

`sides` tells both sides of every operator once, `tiles` finds the best candidate at each point
of a hardware grid from them, `survey` goes through a space once for all that is asked, `inverse`
answers for a device, `fleet` for several at once, `library` over the shipped profiles.
"""
